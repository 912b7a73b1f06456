"""What Bedrock refuses: the constraints of its service model, and the errors in its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

MOST_TAGS: Final = 50
_NAME: Final = re.compile(r"(?!.*[_-]{2})[0-9a-zA-Z][0-9a-zA-Z_-]{0,62}")
_MODEL: Final = re.compile(
    r"arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:custom-model/"
    r"(imported|[a-z0-9-]{1,63}[.][a-z0-9-]{1,63}([a-z0-9-]{1,63}[.]){0,2}[a-z0-9-]{1,63}([:][a-z0-9-]{1,63}){0,2})/[a-z0-9]{12}"
)
_DEPLOYMENT: Final = re.compile(r"arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:custom-model-deployment/[a-z0-9]{12}")
_MODEL_NAME: Final = re.compile(r"([0-9a-zA-Z][_-]?){1,63}")
_DESCRIPTION: Final = re.compile(r".{1,2048}")
_TOKEN: Final = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,254}[a-zA-Z0-9])?")
_TAG: Final = re.compile(r"[a-zA-Z0-9\s._:/=+@-]*")


class Refusal(Exception):
    """An error document: its code, its HTTP status, its message."""

    def __init__(self, code: str, status: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.status = status
        self.text = text


def invalid(text: str) -> Refusal:
    """Answer a ValidationException."""
    return Refusal("ValidationException", 400, text)


def missing(text: str) -> Refusal:
    """Answer a ResourceNotFoundException."""
    return Refusal("ResourceNotFoundException", 404, text)


def conflict(text: str) -> Refusal:
    """Answer a ConflictException, which Bedrock sends with 400."""
    return Refusal("ConflictException", 400, text)


def read_tags(given: object) -> list[dict[str, str]]:
    """Answer the tags of a request. Raises `Refusal` for what is no list of keys and values."""
    tags = [] if given is None else given
    if not isinstance(tags, list) or not all(isinstance(tag, dict) and _is_tag(tag) for tag in tags):
        raise Refusal("SerializationException", 400, "tags must be a list of objects with a key and a value")
    return tags


def _is_tag(tag: Mapping[str, object]) -> bool:
    return isinstance(tag.get("key"), str) and isinstance(tag.get("value"), str)


def check_model_arn(value: object) -> None:
    """Refuse what is no custom model's ARN."""
    if not isinstance(value, str) or not 20 <= len(value) <= 1011 or not _MODEL.fullmatch(value):
        raise invalid("Value at 'modelArn' failed to satisfy constraint: Member must satisfy regular expression pattern")


def check_identifier(value: str) -> None:
    """Refuse what is neither a name nor an ARN of a deployment."""
    if not (_NAME.fullmatch(value) or _DEPLOYMENT.fullmatch(value)):
        raise invalid("Value at 'customModelDeploymentIdentifier' failed to satisfy constraint")


def check_model_name(value: object) -> None:
    """Refuse what is not a custom model's name."""
    if not isinstance(value, str) or len(value) > 63 or not _MODEL_NAME.fullmatch(value):
        raise invalid("Value at 'modelName' failed to satisfy constraint: ([0-9a-zA-Z][_-]?){1,63}")


def check_create(
    name: object, model_arn: object, description: object, tags: Sequence[Mapping[str, str]], token: object
) -> None:
    """Refuse parameters that CreateCustomModelDeployment does not take."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid("Value at 'modelDeploymentName' failed to satisfy constraint: ([0-9a-zA-Z][_-]?){1,63}")
    check_model_arn(model_arn)
    if description is not None and not (isinstance(description, str) and _DESCRIPTION.fullmatch(description)):
        raise invalid("Value at 'description' failed to satisfy constraint: .{1,2048}")
    if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise invalid("Value at 'clientRequestToken' failed to satisfy constraint")
    check_tags(tags)


def check_tags(tags: Sequence[Mapping[str, str]]) -> None:
    """Refuse tags that no resource takes."""
    if len(tags) > MOST_TAGS:
        raise Refusal("TooManyTagsException", 400, "A resource can have at most 50 tags.")
    keys = [tag.get("key", "") for tag in tags]
    if len(set(keys)) < len(keys):
        raise invalid("Duplicate tag keys")
    for tag in tags:
        key, value = tag.get("key", ""), tag.get("value", "")
        if not (1 <= len(key) <= 128 and _TAG.fullmatch(key)) or key.lower().startswith("aws:"):
            raise invalid("Value at 'tags' failed to satisfy constraint: key")
        if not (len(value) <= 256 and _TAG.fullmatch(value)):
            raise invalid("Value at 'tags' failed to satisfy constraint: value")
