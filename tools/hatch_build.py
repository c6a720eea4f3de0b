"""Ships the built front end in the wheel. An editable install finds it beside the sources instead and stays quick."""

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WebBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the front end before a wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build where needed and include the output, which version control ignores."""
        if version == "editable":
            return
        root = Path(self.root)
        script = root / "tools" / "build_web.py"
        spec = importlib.util.spec_from_file_location("build_web", script)
        assert spec
        assert spec.loader
        build_web = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(build_web)
        if not build_web.up_to_date():
            build_web.build()
        build_data["force_include"][str(build_web.OUT)] = "hanmaru/web"
