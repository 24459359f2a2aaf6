"""From a raw delivery to valid rows: every value typed once, refused rows kept with reasons."""
