"""An app with one workflow that loses updates unless its lock holds."""
