"""Where objects are made and handed to each other, and journeys that join siblings."""
