"""The smallest study that is still a study: six networks of two spaces on a fifth of the digits."""

STUDY = """
name = "tiny"
networks = 3
num_stages = 2
workers = 2
stem = { width = 8, stride = 1 }
[data]
name = "digits"
training_share = 0.2
[budget]
flops = "20k..200k"
[recipe]
epochs = 2
batch_size = 50
[ranges]
depth = [1, 2]
width = [8, 32]
[[spaces]]
space = "anynetx_a"
[[spaces]]
space = "anynetx_e"
"""
