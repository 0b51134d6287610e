"""Dialects: native text to leaves and back."""

from __future__ import annotations

from activation.codec.base import Codec, CodecError
from activation.codec.cli import CliCodec, CliSchema, CliSet
from activation.codec.rest import RestCodec
from activation.codec.xml import XmlCodec, XmlSchema

__all__ = [
    "CliCodec",
    "CliSchema",
    "CliSet",
    "Codec",
    "CodecError",
    "RestCodec",
    "XmlCodec",
    "XmlSchema",
]
