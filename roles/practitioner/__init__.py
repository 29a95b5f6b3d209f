"""The built-in practitioner: what a careful engineer would do, as rules that give their reasons; no language model.

- `formats` reads the fields of raw sources;
- `design` says what can be chosen about the data, and turns choices into a recipe and back;
- `moves` are the single changes that an experiment can make, `costs` what their training costs, `spending` what time
  there is for it;
- `rules` look at evidence and trials, and name a cause with the moves against it, one rule a function;
- `expectations` correct a rule by what its move brought before, here and in the memory, and `options` rank the moves;
- `planning` (with `drafts`), `recipes`, `configurations` and `diagnoses` are the decisions of the four roles.
"""
