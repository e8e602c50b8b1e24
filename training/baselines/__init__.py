"""The paper's rivals, trained on the same slides, judged on the same frames (section 2.3)."""
