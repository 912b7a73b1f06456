"""Reading bodies with less work: one parser for all answers of a protocol, and pages of deployments as plain JSON."""

from __future__ import annotations

from typing import Any, Final

from aiobotocore.parsers import AioResponseParserFactory, AioRestJSONParser

from service.aws.timestamps import read_timestamp

PLAIN: Final = "CustomModelDeploymentSummaryList"


class Parsers(AioResponseParserFactory):  # type: ignore[misc]  # aiobotocore has no types
    """botocore's parsers, each made once. It makes one for every answer, in cycles that only the collector takes away."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=read_timestamp)
        self._made: dict[str, Any] = {}

    def create_parser(self, protocol_name: str) -> Any:  # noqa: ANN401  the SDK's own object
        """Answer the parser of this protocol. They keep nothing between two answers."""
        if protocol_name not in self._made:
            self._made[protocol_name] = (
                _RestJson(**self._defaults) if protocol_name == "rest-json" else super().create_parser(protocol_name)
            )
        return self._made[protocol_name]


class _RestJson(AioRestJSONParser):  # type: ignore[misc]  # as above
    """Hands a page's deployments on as they came: walking the model for a thousand blocks the loop for 8 ms."""

    def _handle_list(self, shape: Any, node: Any) -> Any:  # noqa: ANN401  as above
        return node if shape.name == PLAIN else super()._handle_list(shape, node)
