"""The config is read strictly, and every mistake is named with its file, line, key and limit."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.appliance.config.config_file import read_config
from edge.appliance.config.yaml_file import SIZE_LIMIT
from edge.errors import ConfigError
from edge.settings import Config, LoopSettings, ModelSettings, RealtimeSettings

GOOD = """\
camera:
  driver: recorded
  period_ms: 50
  options: {folder: slides, rate_hz: 20, repeat: true, exposure_ms: 1e-3}
stage:
  driver: binary
  z_min_um: 0
  z_max_um: 2000
  focus_direction: -1
  max_step_um: 2.4e1
  options: {port: /dev/ttyX}
objective:
  na: 0.75
  magnification: 20
  um_per_px: 0.34
models:
  rin: ../models/rin.json
  threads: 2
loop:
  deadband_um: 0.4
  importance_threshold: 0.7
  k_dense: 20
  budget_ms: 25
  enough_um: 0.5
realtime:
  priority: 40
  cores: [1, 0]
  lock_memory: true
"""


def _write(tmp_path, text):
    path = tmp_path / "scanner.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_good_config(tmp_path):
    config = read_config(_write(tmp_path, GOOD))
    assert config.camera.period_ms == 50.0
    assert config.camera.options == {
        "folder": "slides", "rate_hz": 20, "repeat": True, "exposure_ms": 0.001,
    }  # fmt: skip
    assert (config.stage.z_max_um, config.stage.focus_direction) == (2000.0, -1)
    assert config.stage.max_step_um == 24.0
    assert config.models.rin == tmp_path / "../models/rin.json"
    assert config.models.dpn == ModelSettings().dpn
    assert (config.loop.deadband_um, config.loop.max_age_ms) == (0.4, None)
    assert (config.loop.budget_ms, config.loop.enough_um) == (25.0, 0.5)
    assert config.realtime == RealtimeSettings(40, (1, 0), True)
    assert (config.loop.classes.threshold, config.loop.classes.dense) == (0.7, 20)


def test_an_option_may_be_a_list(tmp_path):
    text = GOOD.replace("folder: slides", """files: ["a", 'b', c d]""")
    assert read_config(_write(tmp_path, text)).camera.options["files"] == ["a", "b", "c d"]


def test_optional_sections(tmp_path):
    config = read_config(_write(tmp_path, GOOD[: GOOD.index("models:")]))
    assert (config.models, config.loop) == (ModelSettings(), LoopSettings())


def test_the_papers_k_is_a_setting(tmp_path):
    assert read_config(_write(tmp_path, GOOD)).loop.classes.every
    papers = GOOD.replace("  k_dense: 20", "  every_patch: false")
    classes = read_config(_write(tmp_path, papers)).loop.classes
    assert (classes.every, classes.classify(10)[1], classes.classify(5)[1]) == (False, 9, 3)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("  cores: [1, 0]", "  cores: [1, 1]", 27, "realtime.cores must not name a number twice"),
        ("  cores: [1, 0]", "  cores: [1, -1]", 27, "cores = -1 must be a list of whole numbers 0"),
        ("  cores: [1, 0]", "  cores: all", 27, "cores = all must be a list of whole numbers 0"),
        ("priority: 40", "priority: 100", 26, "priority = 100 must be a whole number 0 to 99"),
        ("memory: true", "memory: yes", 28, "lock_memory = yes must be true or false"),
        ("budget_ms: 25", "budget_ms: 0", 23, "loop.budget_ms = 0 must be a number 1 to 10000"),
        ("enough_um: 0.5", "enough_um: 0", 24, "loop.enough_um = 0 must be a number 0.01 to 100"),
        ("  z_max_um: 2000", "  z_max_um: -5", 8, "stage.z_max_um = -5 must be above z_min_um = 0"),
        ("  z_max_um: 2000", "  z_max_um: 0", 8, "stage.z_max_um = 0 must be above z_min_um = 0"),
        ("  z_max_um: 2000", "  z_max_um: 1e9", 8, "z_max_um = 1e9 must be a number 0 to 100000"),
        ("  z_max_um: 2000\n", "", 6, "stage.z_max_um must be given"),
        ("  focus_direction: -1\n", "", 6, "stage.focus_direction must be given"),
        ("direction: -1", "direction: 2", 9, "stage.focus_direction = 2 must be a whole number"),
        ("direction: -1", "direction: up", 9, "focus_direction = up must be a whole number -1 to"),
        ("  period_ms: 50", "  period_ms: .nan", 3, "period_ms = .nan must be a number 1 to 10000"),
        ("  period_ms: 50", "  period_ms: 1:30", 3, "camera.period_ms = 1:30 must be a number"),
        ("  period_ms: 50", "  period_ms: 0x32", 3, "camera.period_ms = 0x32 must be a number"),
        ("  period_ms: 50", "  period_ms: 050", 3, "camera.period_ms = 050 must be a number"),
        ("  period_ms: 50", "  period_ms: 5_0", 3, "camera.period_ms = 5_0 must be a number"),
        ("  period_ms: 50", "  period_ms: '50'", 3, "period_ms = '50' must be a number 1 to"),
        ("  period_ms: 50", "  period_ms: [50]", 3, "period_ms = a list must be a number"),
        ("  period_ms: 50", "  period_ms:", 3, "period_ms = '' must be a number"),
        ("ms: 50", "ms: 50\n  period_ms: 60", 4, "camera.period_ms is given twice, first in line"),
        ("ms: 50", "ms: 50\n  gain: 2", 4, "camera.gain is not a key of this section, which has"),
        ("stage:", "stge:", 1, "stage must be given"),
        ("loop:", "lop:", 19, "lop is not a key of this section, which has camera"),
        ("  na: 0.75", "  na: 1.3", 13, "objective.na = 1.3 must be a number 0.02 to 0.99"),
        ("driver: binary", "driver: hydraulic", 6, "stage.driver = hydraulic must be one of"),
        ("rate_hz: 20", "rate_hz: on", 4, "camera.options.rate_hz = on must be in quotes"),
        ("folder: slides", "folder: 1:30", 4, "options.folder = 1:30 must be in quotes"),
        ("folder: slides", "folder: ~", 4, "camera.options.folder = ~ must be in quotes"),
        ("folder: slides", "folder: 0o17", 4, "options.folder = 0o17 must be in quotes"),
        ("folder: slides", "folder: !!python/name:os.system x", 4, "tags (!) are not allowed"),
        ("folder: slides", "folder: !x y", 4, "tags (!) are not allowed"),
        ("folder: slides", "folder: &a slides", 4, "anchors and aliases (&, *) are not allowed"),
        ("folder: slides", "folder: *a", 4, "anchors and aliases (&, *) are not allowed"),
        ("folder: slides", "folder: [[[[[[[[[1]]]]]]]]]", 4, "nested deeper than 8 levels"),
        ("  threads: 2", "  backend: tpu", 18, "models.backend = tpu must be one of auto, cpu,"),
        ("  threads: 2", "  frame_memory: c", 18, "frame_memory = c must be one of copy, mapped"),
        ("  threads: 2", "  threads: 2.0", 18, "models.threads = 2.0 must be a whole number"),
        ("  rin: ../models/rin.json", "  rin: no", 17, "models.rin = no must be in quotes"),
        ("  rin: ../models/rin.json", "  rin: [a]", 17, "models.rin must be text"),
        ("  k_dense: 20", "  k_dense: 32", 22, "loop.k_dense = 32 must be a whole number 1 to 31"),
        ("  k_dense: 20", "  k_dense: 5\n  k_sparse: 6", 23, "loop.k_sparse = 6 must be a whole"),
        ("  k_dense: 20", "  every_patch: 0", 22, "loop.every_patch = 0 must be true or false"),
        ("models:", "models: 5\nx:", 16, "models 5 must be a section of keys"),
        ("  na: 0.75", "  ? [1]\n  : 2", 13, "objective a key must be a word"),
        ("  na: 0.75", "  <<: {na: 1}\n  na: 0.75", 13, "objective.<< is not a key"),
        ("  na: 0.75", "\tna: 0.75", 13, "found character '?t' that cannot start any token"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(tmp_path, old, new, line, says):
    assert GOOD.count(old) == 1
    path = _write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:{line}: "), text
    assert "\n" not in text
    assert says.replace("?", "\\") in text.replace("?", "\\"), text


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", ":1: the config is empty"),
        (b"# nothing\n", ":1: the config is empty"),
        (b"a: 1\nb: \xff", ":2: the config must be UTF-8 text"),
        (b"#" * (SIZE_LIMIT + 1), f": the config must be at most {SIZE_LIMIT} bytes"),
        (b"a: 1\n---\nb: 2", ":2: but found another document"),
        (b"a: [1", ":1: "),
        (b"\0", ": "),
        (b"[1, 2]", ":1: a list must be a section of keys"),
        (b"plain", ":1: plain must be a section of keys"),
    ],
)
def test_what_is_not_a_config(tmp_path, data, says):
    path = _write(tmp_path, data)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}{says}")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="directory"):
        read_config(tmp_path)
    with pytest.raises(ConfigError, match="null"):
        read_config(tmp_path / "a\0b")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "f.yaml"


def _read_or_config_error(path, data):
    path.write_bytes(data)
    try:
        config = read_config(path)
    except ConfigError as error:
        text = str(error)
    else:
        assert isinstance(config, Config)
        assert config.stage.z_min_um < config.stage.z_max_um
        assert config.stage.focus_direction in (-1, 0, 1)
        assert math.isfinite(config.camera.period_ms)
        return
    assert text.startswith(str(path))
    assert "\n" not in text


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
@example(b"%YAML 9.9\n---\na: 1")
@example(b"%TAG ! tag:x:\n---\n!a b: 1")
@example(b"{" * 5000)
@example(b"? " * 3000)
@example(b"- " * 3000)
@example(b"\xef\xbb\xbfa: 1")
@example("a: \x85b".encode())
@example(b"a: 99999999999999999999999999999999")
def test_any_bytes_are_a_config_or_a_config_error(scratch, data):
    _read_or_config_error(scratch, data)


DAMAGE = [*"!-?|>'\"{}[],#~%@:", "&a", "*a", "<<", "no", "1e999", "-0", ".inf", "1_0", "---", "..."]
tokens = st.sampled_from([*DAMAGE, "\n", "  ", "\t", "\0", "\u2028"])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.lists(tokens, max_size=4))
def test_a_damaged_config_is_a_config_or_a_config_error(scratch, at, cut, new):
    _read_or_config_error(scratch, (GOOD[:at] + "".join(new) + GOOD[at + cut :]).encode())


def test_an_option_that_is_missing_with_all_its_section_is_one_line(tmp_path) -> None:
    path = tmp_path / "scanner.yaml"
    path.write_text("camera: {driver: simulated, period_ms: 30}\nstage: {}\n")
    with pytest.raises(ConfigError, match=r"scanner.yaml:1: camera.options.trace must be given"):
        read_config(path)
