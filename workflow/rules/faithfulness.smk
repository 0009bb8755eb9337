# Whether the explanations say what the model does.

FAITHFULNESS_FILES = []
