"""The actions of dialogs: plans and questions."""
