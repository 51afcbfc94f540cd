"""What machine this is: values and the probe that fills them."""
