"""What people write instead: plain scripts on other libraries. They need nothing of dlp-lab, and run without it."""
