"""Studies: a file says what is compared, a store remembers it, and what stands between the two is here.

A study is read (`spec`, with its tables in `choices`), drawn (`samples`), named and stored (`preparing`), trained
(`launching`, `running`) and told (`telling`); `study` is that story in one file. Around it: how one grows, is merged,
climbs rungs, is parted among jobs, and what is made of it, principles and networks.
"""
