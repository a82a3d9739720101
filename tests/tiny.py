"""The smallest study that is still a study: six networks of two spaces on a fifth of the digits; and others like it."""


def study_of(more: str, *, name: str = "tiny", networks: int = 3, workers: int = 2, flops: str, epochs: int = 2) -> str:
    """Return the file of a study that trains in a second; `more` holds its spaces, and tables that it has besides."""
    return f"""
name = "{name}"
networks = {networks}
num_stages = 2
workers = {workers}
stem = {{ width = 8, stride = 1 }}
[data]
name = "digits"
training_share = 0.2
[budget]
flops = "{flops}"
[recipe]
epochs = {epochs}
batch_size = 50
{more}"""


A_AND_E = """[ranges]
depth = [1, 2]
width = [8, 32]
[[spaces]]
space = "anynetx_a"
[[spaces]]
space = "anynetx_e"
"""

STUDY = study_of(A_AND_E, flops="20k..200k")
