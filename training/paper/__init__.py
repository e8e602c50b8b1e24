"""The paper's tables and figures with ours beside theirs: `make paper`."""
