"""What holds for all tests: how long an example of Hypothesis takes says nothing where processes share cores."""

from hypothesis import settings

settings.register_profile("netspace", deadline=None)
settings.load_profile("netspace")
