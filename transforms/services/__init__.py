"""Services: who qualifies, what is lacking, how much money, and the reminders of what is due or within reach."""
