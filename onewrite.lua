functions
print
