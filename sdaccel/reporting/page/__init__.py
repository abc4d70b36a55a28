"""The page that every run ends in: a question, its answer in numbers, verdicts, pictures, figures, tables, the command.

One template serves a run, a comparison of runs and a comparison of folders: whoever has something to show makes a `Page` of it.
"""
