"""OTP supervision: a pure core and one actor that obeys it."""
