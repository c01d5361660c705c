"""One turn of the wheel: is there reason to train, and may the new model take the champion's place?"""
