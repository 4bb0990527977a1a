# man pages, made from the option tables and written by hand
