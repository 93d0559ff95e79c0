"""The commands that do a whole piece of work: stages that can be cut off anywhere and run again."""
