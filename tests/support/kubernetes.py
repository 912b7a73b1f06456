"""The alerts as a PrometheusRule: `python -m tests.support.kubernetes` writes it, a test holds it to config/grafana."""

from __future__ import annotations

from tests.support.readme import ROOT

FOLDER = ROOT / "config" / "deploy" / "kubernetes"
ALERTS = ROOT / "config" / "grafana" / "alerts.yaml"
RULE = FOLDER / "components" / "prometheus-operator" / "prometheus-rule.yaml"
HEAD = """\
# Generated from config/grafana/alerts.yaml by `python -m tests.support.kubernetes`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: slipway
  namespace: slipway
  labels: {app.kubernetes.io/name: slipway}
spec:
"""


def prometheus_rule() -> str:
    """Return the alerts as a PrometheusRule, their text unchanged."""
    _, _, groups = ALERTS.read_text("utf-8").partition("groups:\n")
    lines = ["  groups:", *(f"  {line}" if line else "" for line in groups.splitlines())]
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Write it."""
    RULE.write_text(prometheus_rule(), "utf-8")


if __name__ == "__main__":
    main()
