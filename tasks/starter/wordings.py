"""How questions about terms and definitions are worded: each place has templates of its own.

`{term}`, `{definition}` and `{area}` (the subject in words) are filled in.
"""

BENCHMARK_TERM = (
    'Which concept is described here: "{definition}"?',
    'Name the expression from {area} that fits this description: "{definition}".',
    'A glossary entry reads "{definition}". To which headword does it belong?',
    'In {area}, what is "{definition}" called?',
    'Someone has forgotten the technical word for "{definition}". Which one is it?',
    'A crossword about {area} gives the clue "{definition}". What is the solution?',
    'During a course on {area} the lecturer says: "{definition}". What is being introduced?',
    'Match this explanation with its term: "{definition}".',
    'An editor wants to replace "{definition}" by a single technical term. Which should be printed?',
    'Two clerks argue over a word, and one finally reads out: "{definition}". What had they been arguing about?',
)
"""The benchmark gives the definition and asks for the term."""

EXAM_MEANING = (
    'What does the term "{term}" mean in {area}?',
    'Which of these statements defines "{term}"?',
    'In {area}, what is meant by "{term}"?',
    'How is the term "{term}" defined?',
    'A student looks up "{term}". Which explanation is right?',
    'What is the correct meaning of "{term}"?',
)
"""The exam bank gives the term and asks for the definition."""

MOCK_MEANING = (
    'If a report mentions "{term}", it refers to which of the following?',
    'Pick the phrase describing "{term}" most accurately.',
    'Someone unfamiliar with {area} wonders about "{term}". What should the reply be?',
    'Complete the sentence: "{term}" stands for ...',
    'Mark the statement that says what "{term}" is.',
    'Which explanation would you give a new colleague who asks about "{term}"?',
    'On a cheat sheet for {area}, what belongs beside "{term}"?',
)
"""Practice papers ask for the definition too."""

EXAM_PREFIXES = ("Q{number}. ", "Q{number}: ", "Q{number} - ")
"""How a question that was typed in again may begin."""

MOCK_PREFIXES = (
    "Q{number}. ",
    "Warm-up: ",
    "From an old paper: ",
    "Section B. ",
    "Quick check - ",
    "Seminar question: ",
    "For revision: ",
    "To finish with: ",
    "Homework: ",
    "Think back to the course. ",
)
"""How a question of a practice paper may begin, leaked or not."""

ENDINGS = (
    "The answer is therefore: {answer}.",
    "So the right answer is: {answer}.",
    "This leads to the answer: {answer}.",
    "Hence: {answer}.",
)
"""How a worked solution ends."""
