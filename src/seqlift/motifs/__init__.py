"""Which short patterns does the model use, what are they called and where are they used?"""
