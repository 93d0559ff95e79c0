"""The jobs of `init`, `train` and `publish`: lists of tasks that can be killed and run again."""
