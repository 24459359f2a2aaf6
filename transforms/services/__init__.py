"""Services: who qualifies, what is lacking, how much money, and reminders of what is due."""
