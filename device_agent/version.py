"""The distribution's version, as told in `hello`. A constant: asking the package database would take 2 MB."""

VERSION = "0.1.0"
