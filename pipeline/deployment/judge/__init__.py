"""Judge the new fleet against the old one while both serve. Pure; docs/verdicts.md derives the method."""
