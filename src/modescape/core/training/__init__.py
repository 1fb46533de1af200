"""Training: settings, schedule, augmentation, noise, one member's loop."""
