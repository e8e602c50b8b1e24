# Every target does its own set-up: a virtual environment in .venv and the host firmware.
#   make run    focus thirteen simulated fields, page in report/index.html
#   make test   lint, types, layers, tests; make test-fast without the long ones; make matrix
#   make bench  latency by stage and k, beside other ways and the floors
#   make family the product on a grid of instruments, page in runs/family/family.md
#   make paper  the paper's tables and figures with every rival, page in report/paper/index.html
#   make test-lowest   the same numbers on the oldest versions allowed
#   make soak, make soak-loop, make fuzz, make mutation   the long ones: each says what it found
PYTHON ?= python3
VENV   ?= .venv
CONSTRAINTS ?= constraints.txt
BIN    := $(VENV)/bin
JETSON := $(wildcard /etc/nv_tegra_release)
ARM    := $(filter aarch64,$(shell uname -m))

# JetPack brings TensorRT and OpenCV: use them, do not overwrite them (docs/decisions/0002)
VENV_OPTIONS := $(if $(JETSON),--system-site-packages)
EXTRA        := $(if $(JETSON),,$(if $(ARM),[opencv]))
# a comma would end an argument of $(if)
WITH_OPENCV  := [opencv,test,train,cuda]
WITHOUT      := [test,train,cuda]
TEST_EXTRA   := $(if $(JETSON),[test],$(if $(ARM),$(WITH_OPENCV),$(WITHOUT)))
PIP          := $(BIN)/python -m pip install --disable-pip-version-check -q -c $(CONSTRAINTS)

.PHONY: run bench paper wsi family test test-fast quick test-lowest matrix lint types layers pytest env env-locked test-env firmware board-tools camera-tools tensorrt pycuda gpu-check soak soak-loop stops fuzz mutation clean

run: env firmware
	$(BIN)/sparsefocus simulate --report report

# Needs a machine that does nothing else: 500 frames at each k, then hill climbing. Some minutes.
bench: test-env firmware
	$(BIN)/sparsefocus bench --json benchmarks/results/bench.json \
	  --picture benchmarks/results/bench.svg
	$(BIN)/sparsefocus bench --fields 0 --magnification 40 --json benchmarks/results/bench_40x.json
	$(BIN)/sparsefocus bench --fields 0 --na 0.3 --magnification 10 \
	  --json benchmarks/results/bench_10x.json

# The paper's tables and figures on fresh slides, ours beside the rivals': half an hour on two cores.
paper: test-env firmware
	OMP_NUM_THREADS=1 $(BIN)/python -m training.paper --out report/paper --workers 2

# One pair of networks on a grid of instruments, by the second judge: hours of one core, beside other
# work. Frames are kept and it goes on where it was; the page is runs/family/family.md.
family: test-env
	OMP_NUM_THREADS=1 nice -n 15 $(BIN)/python -m training.family --out runs/family --slides 4 --planes 6

# Whole slides focused in three ways, on virtual slides: some minutes.
wsi: test-env
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.whole_slide --out report/wsi

test: lint types layers pytest

lint: test-env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: test-env
	$(BIN)/mypy --config-file setup.cfg

layers: test-env
	$(BIN)/lint-imports --config setup.cfg

# Side by side, each file as a whole, so that what its tests share is made once; the long ones first.
# One more than two cores: tests that keep pace with a firmware mostly wait.
WORKERS ?= 3
PYTEST  := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

pytest: test-env firmware board-tools camera-tools tensorrt pycuda
	$(PYTEST)

# Without the tests that take many seconds of a core each (marked long): while you work.
test-fast: lint quick

quick: test-env firmware
	$(PYTEST) -m "not long"

# The same tests on each Python that is here, pyenv's too, with the pinned and with the newest
# dependencies that setup.cfg allows: an environment of 2 GB each. All are tried; the last lines say
# which failed. MATRIX="3.12" tries these only.
MATRIX ?= 3.10 3.11 3.12
matrix:
	@failed=; for v in $(MATRIX); do \
	  python=; for p in python$$v $(HOME)/.pyenv/versions/$$v.*/bin/python$$v; do \
	    $$p -c "" 2>/dev/null && python=$$p && break; done; \
	  [ -n "$$python" ] || { echo "skipped: there is no python$$v here"; continue; }; \
	  for c in pinned:constraints.txt newest:/dev/null; do \
	    echo "Python $$v ($$python), $${c%%:*}"; \
	    $(MAKE) --no-print-directory quick PYTHON=$$python CONSTRAINTS=$${c#*:} \
	      VENV=.venv-$$v-$${c%%:*} || failed="$$failed $$v-$${c%%:*}"; \
	  done; done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

# The recordings that every release must decide alike, recorded anew, on purpose (docs/record.md).
.PHONY: records
records: test-env firmware
	$(BIN)/python -m tests.support.reference_records

# The oldest set that setup.cfg allows (JetPack 6 brings OpenCV 4.8.0), on the oldest Python, in an
# environment of its own: what it cannot run needs torch or onnx, and is left out.
LOWEST_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python) python3.10)
LOWEST        := numpy==1.24.0 scipy==1.10.0 opencv-python-headless==4.8.0.76 onnxruntime==1.17.0 \
                 pyyaml==6.0 pyserial==3.5 mcap==1.6.0 zstandard==0.22.0
LOWEST_TESTS  := tests/edge/images tests/edge/cameras/test_cameras.py \
                 tests/edge/cameras/test_exposure_time.py tests/edge/cameras/test_pitch.py \
                 tests/edge/measure/test_plain_look.py tests/edge/measure/test_raw_pixels.py \
                 tests/edge/measure/test_same_numbers.py tests/test_commands.py \
                 tests/edge/appliance/focus
test-lowest: build/lowest/.done
	OMP_NUM_THREADS=1 PYTHONPATH=. build/lowest/bin/python -m pytest -p no:cacheprovider $(LOWEST_TESTS)

build/lowest/.done: setup.cfg
	rm -rf build/lowest && mkdir -p build
	$(LOWEST_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10) and "Python 3.10 is needed: make LOWEST_PYTHON=...")'
	$(LOWEST_PYTHON) -m venv build/lowest
	build/lowest/bin/python -m pip install --disable-pip-version-check -q $(LOWEST) \
	  'pytest>=8,<9' 'pytest-timeout>=2.3,<3' 'hypothesis>=6.100,<7'
	touch $@

# The runtime alone, every file by its hash: for an instrument.
env-locked: $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	$(BIN)/python -m engines.opencv_here

# The same with what the tests need (without training's torch): for who must know every file.
.PHONY: test-env-locked
test-env-locked: env-locked
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements-test.txt

env: $(VENV)/.run
test-env: $(VENV)/.test

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 10) <= v[:2] <= (3, 12) and "Python 3.10 to 3.12 is needed, this is %d.%d: make PYTHON=..." % v[:2])'
	$(PYTHON) -m venv $(VENV_OPTIONS) $(VENV)

$(VENV)/.run: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) -e '.$(EXTRA)'
	$(BIN)/python -m engines.opencv_here
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) -e '.$(TEST_EXTRA)'
	touch $@

firmware: env
	$(BIN)/python -c 'from firmware_bridge.firmware.host import build_host; print("host firmware:", build_host().name)'

# Ten minutes: 10^5 commands through a bad line, nothing lost, nothing made twice; then as many to
# X, Y and Z with pulses for the camera, a minute or two on a clock of their own.
soak: test-env firmware
	$(BIN)/python -m benchmarks.soak --json benchmarks/results/soak.json
	$(BIN)/python -m benchmarks.slide_soak --json benchmarks/results/slide_soak.json

# Ten minutes: everything that can end a move, on every verb and driver that moves: ms until it rests.
stops: test-env firmware
	$(BIN)/python -m benchmarks.ways_of_a_stop

# Half an hour: 10^5 frames through the whole loop, nothing grows.
soak-loop: test-env firmware
	OMP_NUM_THREADS=2 $(BIN)/python -m benchmarks.loop_soak --json benchmarks/results/loop_soak.json

# libFuzzer on the firmware's protocol core; what it finds new stays in build/fuzz. SECONDS=60
SECONDS ?= 60
CORE_C := $(addprefix firmware_bridge/firmware/,framing.c motion.c watchdog.c replies.c session.c \
          moves.c protocol.c fault.c)
FUZZED := clang -std=c99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
          -Ifirmware_bridge/firmware $(CORE_C)
fuzz: test-env clang
	@mkdir -p build/fuzz
	$(FUZZED) tests/fuzz/protocol_fuzz.c -o build/protocol-fuzz
	build/protocol-fuzz -max_total_time=$(SECONDS) -max_len=1024 -print_final_stats=1 \
	  -artifact_prefix=build/ build/fuzz tests/fuzz/corpus

# Ten minutes of whole sessions: valid frames in any order, clocks and limits at the ends of 32 bits.
.PHONY: fuzz-sessions clang
SESSION_SECONDS ?= 600
fuzz-sessions: clang
	@mkdir -p build/fuzz-sessions
	$(FUZZED) tests/fuzz/session_fuzz.c -o build/session-fuzz
	build/session-fuzz -max_total_time=$(SESSION_SECONDS) -max_len=1024 -print_final_stats=1 \
	  -artifact_prefix=build/ build/fuzz-sessions

clang:
	@command -v clang >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
	  --no-install-recommends clang libclang-rt-dev >/dev/null; } \
	  || { echo "fuzzing needs clang with libFuzzer (apt install clang libclang-rt-dev)"; exit 1; }

# Changes guard, state, what decides, the client and the framing in some 3,300 ways: the tests must
# notice each, or docs/mutation.md must say why none can. Some minutes; goes on where it stopped.
# FILES="edge/guard.py" tries these only.
FILES ?=
mutation: test-env firmware
	mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation.py_run $(FILES) --log build/mutation.jsonl

# Changes the firmware's C likewise, in some 1,360 ways: docs/mutation_firmware.md. A minute or two
# where tcc is there, far longer with cc. FILES="moves.c session.c" tries these only.
.PHONY: mutation-c misra check-tools
mutation-c: test-env check-tools
	mkdir -p build
	$(BIN)/python -m tests.mutation.c_run $(FILES) --log build/mutation_c.jsonl

# Every branch of what decides, guards and keeps the state, every line of the client: run by their
# own quick tests, or named as never run in the code itself.
.PHONY: coverage
COVERED := tests/edge/decide tests/edge/test_guard.py tests/edge/test_guard_edges.py \
           tests/edge/test_guard_frames.py tests/edge/test_guard_hold.py \
           tests/edge/test_guard_by_hand.py tests/edge/test_guard_tracking.py \
           tests/edge/test_state.py tests/firmware_bridge/test_client.py \
           tests/firmware_bridge/test_client_handshake.py \
           tests/firmware_bridge/test_client_heartbeat.py \
           tests/firmware_bridge/test_client_doubts.py tests/firmware_bridge/test_exchange.py \
           tests/firmware_bridge/test_history.py tests/firmware_bridge/test_framing.py \
           tests/firmware_bridge/test_framing_edges.py tests/firmware_bridge/test_clock_and_history.py
coverage: test-env firmware
	OMP_NUM_THREADS=1 COVERAGE_FILE=build/coverage $(BIN)/python -m coverage run --rcfile=setup.cfg \
	  -m pytest -q $(COVERED)
	COVERAGE_FILE=build/coverage $(BIN)/python -m coverage report --rcfile=setup.cfg

# MISRA C:2012 in the firmware's core: every violation is a deviation that docs/misra.md names.
misra: test-env check-tools
	$(BIN)/python -m tests.misra.check

# cppcheck for MISRA, tcc for quick builds: installed where that is ours to do; else said.
pytest: check-tools
check-tools:
	@if command -v cppcheck >/dev/null && command -v tcc >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get -qq update && apt-get -qq install -y --no-install-recommends \
	    cppcheck tcc; } >/dev/null || echo "cppcheck and tcc could not be installed"; \
	else echo "skipped: MISRA (apt install cppcheck); slower: broken firmwares (apt install tcc)"; \
	fi

# The Cortex-M3 under QEMU needs a cross compiler and the emulator: installed where that is ours to
# do (root on Debian or Ubuntu); elsewhere its tests say that they are skipped, and why.
board-tools:
	@if command -v qemu-system-arm >/dev/null && command -v arm-none-eabi-gcc >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get -qq update && apt-get -qq install -y --no-install-recommends \
	    qemu-system-arm gcc-arm-none-eabi; } >/dev/null; \
	else echo "skipped: tests on the Cortex-M3 (apt install qemu-system-arm gcc-arm-none-eabi)"; \
	fi

# Aravis with its fake GigE camera, and GStreamer with its test source; likewise.
camera-tools:
	@if command -v arv-fake-gv-camera-0.8 >/dev/null && command -v gst-inspect-1.0 >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get -qq update && apt-get -qq install -y --no-install-recommends \
	    aravis-tools gstreamer1.0-tools gstreamer1.0-plugins-base; } >/dev/null; \
	else echo "skipped: tests of the aravis and gstreamer cameras (apt install aravis-tools" \
	  "gstreamer1.0-tools gstreamer1.0-plugins-base)"; \
	fi

# The genuine Python bindings of the TensorRT releases that Jetsons have, and TensorRT-RTX, which
# compiles networks without a GPU, in its last release shaped like TensorRT 10 and one like 11:
# what the engines' tests hold our code against. 180 MB, once; NVIDIA has them for x86-64 only.
BINDINGS     := 10.3.0 10.13.3.9 10.16.1.11 11.4.0.106
RTX          := 1.4.0.76 1.7.1.116
TENSORRT     := $(addsuffix /.done,$(BINDINGS:%=build/tensorrt/bindings-%) $(RTX:%=build/tensorrt/rtx-%))
tensorrt: $(if $(filter x86_64,$(shell uname -m)),$(TENSORRT))
	@$(if $(filter x86_64,$(shell uname -m)),:,echo "skipped: tests on TensorRT's bindings (x86-64 only)")

build/tensorrt/bindings-%/.done: $(VENV)/bin/python
	rm -rf $(@D)
	$(PIP) --no-deps --target $(@D) tensorrt-cu12-bindings==$*
	touch $@

build/tensorrt/rtx-%/.done: $(VENV)/bin/python
	rm -rf $(@D)
	$(PIP) --no-deps --target $(@D) tensorrt-rtx-cu12-libs==$* tensorrt-rtx-cu12-bindings==$*
	touch $@

# On a machine with an NVIDIA GPU, with or without TensorRT: kernels and the frame's way against the
# CPU's, byte for byte.
gpu-check: pycuda
	PYTHONPATH=tests/support/real_gpu:build/pycuda/site:. \
	  $(BIN)/python tests/support/real_gpu/check.py build/gpu-check.json

# The real pycuda, for tests over a CUDA driver of our own; compiled once per Python, two minutes.
PYCUDA     := 2026.1
PYTHON_TAG  = $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
pycuda: test-env
ifeq ($(shell uname -m),x86_64)
	@[ -e build/pycuda/.done-$(PYCUDA)-$(PYTHON_TAG) ] || { rm -f build/pycuda/.done-* \
	  && tests/support/software_gpu/build_pycuda.sh $(BIN)/python $(PYCUDA) constraints.txt \
	  && touch build/pycuda/.done-$(PYCUDA)-$(PYTHON_TAG); }
else
	@echo "skipped: tests of the GPU path over a driver made of software (x86-64 only)"
endif

clean:
	rm -rf $(VENV) report build *.egg-info firmware_bridge/firmware/build
