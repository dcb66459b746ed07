"""What a sweep found: its jobs, means with intervals, plots, and a page with the videos side by side."""
