"""An app with the workflows that are measured: ten steps that do nothing."""
