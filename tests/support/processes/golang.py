"""Go as the Makefile calls it: other flags would compile every package a second time."""

import os

GO_ENVIRONMENT = os.environ | {
    "GOTOOLCHAIN": "local",
    "GOFLAGS": "-mod=readonly -trimpath",
    "CGO_ENABLED": "0",
}
