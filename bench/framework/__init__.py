"""The methods of the framework of Nguyen et al. (2023), trained alike and measured alike."""
