"""The engines that run containers, behind one Protocol that all of them are tested against."""
