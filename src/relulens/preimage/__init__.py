"""What a layer forgets: pre-images of features, with certificates, and twins."""
