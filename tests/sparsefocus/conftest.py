"""What needs the extra `mmcore-plus` is collected where that is installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("pymmcore_plus") else ["test_micro_manager.py"]
