"""Studies: experiments that train many models and compare them."""
