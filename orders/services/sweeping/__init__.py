"""The sweep: looks for trouble that nobody reported, repairs what is safe, and opens tasks for the rest.

A workflow that an operator terminates says nothing, a start that got lost leaves no error, and a bug only makes an
order slow. Without a look from outside such orders wait until a customer calls. One module for each question;
`findings` keeps what was found.
"""
