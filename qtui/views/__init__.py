"""What a screen shows, without widgets: windows over states, marks, and the poll behind them."""
