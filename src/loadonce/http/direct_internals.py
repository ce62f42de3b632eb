"""What a direct route needs of FastAPI's and Starlette's own affairs.

Where a name is missing, the import fails and routes are served through FastAPI: `direct.py`.
"""

from __future__ import annotations

from fastapi._compat import ModelField
from fastapi._compat.shared import field_annotation_is_sequence
from fastapi.dependencies.models import (
    _is_async_gen_callable as is_async_gen_callable,
)
from fastapi.dependencies.models import (
    _is_coroutine_callable as is_coroutine_callable,
)
from fastapi.dependencies.models import (
    _is_gen_callable as is_gen_callable,
)
from fastapi.dependencies.utils import (
    _get_param_aliases as param_aliases,
)
from fastapi.dependencies.utils import (
    _get_param_model as param_model,
)
from fastapi.dependencies.utils import (
    request_params_to_args,
)
from fastapi.routing import _build_response_args as build_response_args
from fastapi.routing import _extract_endpoint_context as endpoint_context
from starlette._exception_handler import wrap_app_handling_exceptions

__all__ = [
    "ModelField",
    "build_response_args",
    "endpoint_context",
    "field_annotation_is_sequence",
    "is_async_gen_callable",
    "is_coroutine_callable",
    "is_gen_callable",
    "param_aliases",
    "param_model",
    "request_params_to_args",
    "wrap_app_handling_exceptions",
]
