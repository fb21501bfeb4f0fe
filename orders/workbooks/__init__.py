"""From a stranger's Excel workbook to CSV, as a program of its own: `python -m orders.workbooks`.

A workbook is a zip of XML, and both unpack to a thousand times their size. So it is read in a process that has no
secrets, no network and no database, and that the kernel ends at its limits of memory, seconds and bytes. Nothing here
may import Django: the program would take longer to start than to work.
"""
