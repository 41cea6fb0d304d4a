"""What is learned from: images, picture files, and the tasks drawn of them; sinusoids."""
