"""Several stubs at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from loadonce.errors import ConfigurationError
from loadonce.lifecycle.registry import Registry


@contextmanager
def overrides(registry: Registry, **stubs: object) -> Iterator[None]:
    """Serve these objects instead of the registry's models while the block runs::

        with overrides(models, diabetes=Certain(), heart=OffLoop(Slow())), TestClient(app) as c:
            ...

    Entered before the app starts, the artifacts are never opened. Unlike `models.x.override(stub)`
    the stubs' types are not checked.

    Raises:
        ConfigurationError: the registry has no model of that name.
    """
    names = [model.name for model in registry]
    with ExitStack() as stack:
        for name, stub in stubs.items():
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                hint = f"; did you mean '{close[0]}'?" if close else f": it has {', '.join(names)}"
                raise ConfigurationError(f"{type(registry).__name__} has no model '{name}'{hint}")
            stack.enter_context(registry[name].override(stub))
        yield
