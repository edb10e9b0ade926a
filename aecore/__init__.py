"""The engine of Latent Loupe: autoencoders, latent maps and the measures that keep them honest.

Data walk one way through the modules, and nothing here knows a screen::

    datasets -> variants -> training -> store -> neighbors -> projections -> metrics -> figures
"""
