"""Mail for the benchmarks, the same in every run: lists' threads, encoded words, alternatives, attachments, 4.5 KB on average."""

import base64
import random

WORDS = (
    "the of and to in is that for it as was with on by at from are this be or have an not you which but we all "
    "murder frontend backend mailbox quota partition delivery message server index cache annotation thread folder "
    "release review patch kernel driver socket timeout report meeting budget invoice travel garden coffee winter"
).split()
PEOPLE = ["Ann Miller", "Jürgen Groß", "Zoë Łukasz", "Bob", "Иван Петров", "Mary Poe", "李明", "Olaf"]
TOPICS = ["quarterly budget", "Übersicht der Änderungen", "release plan", "Отчёт за неделю", "lunch on Friday", "会议记录", "crash in the index"]
PARENTS = 8  # a thread has as many messages
RARE = "xylophone"  # in the text of every thousandth message


def words(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n))


def encoded(text):
    if text.isascii():
        return text
    return "=?utf-8?B?%s?=" % base64.b64encode(text.encode()).decode()


def paragraphs(rng, size):
    text = ""
    while len(text) < size:
        text += words(rng, 11) + "\r\n" + ("\r\n" if rng.random() < 0.2 else "")
    return text


def part(kind, encoding, text):
    return "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s\r\n" % (kind, encoding, text)


def body(rng, number):
    """(headers, text) of one of the three common shapes."""
    text = paragraphs(rng, rng.choice((400, 1100, 3600))) + ("The %s again.\r\n" % RARE if number % 1000 == 0 else "")
    shape = number % 3
    if shape == 0:
        return "Content-Type: text/plain; charset=us-ascii\r\n", text
    if shape == 1:
        parts = [part("text/plain; charset=utf-8", "7bit", text), part("text/html; charset=utf-8", "7bit", "<p>%s</p>" % text)]
        kind = "alternative"
    else:
        data = base64.encodebytes(rng.randbytes(2500)).decode().replace("\n", "\r\n")
        parts = [part("text/plain", "7bit", text), part('application/pdf; name="a.pdf"', "base64", data)]
        kind = "mixed"
    mark = "----=_%d" % number
    return 'Content-Type: multipart/%s; boundary="%s"\r\n' % (kind, mark), "".join(
        "--%s\r\n%s" % (mark, p) for p in parts
    ) + "--%s--\r\n" % mark


def varied(number):
    """Message `number` as bytes: one of a thread of PARENTS, whose first has the smallest number."""
    rng = random.Random(number)
    first = number - number % PARENTS
    topic = random.Random(first).choice(TOPICS) + " %d" % (first // PARENTS % 97)
    sender = rng.choice(PEOPLE)
    headers = [
        "Return-Path: <list-bounces@example.org>",
        "Received: from mx%d.example.org by mail.example.net with ESMTPS; Sat, 21 Nov 2026 22:00:00 +0000" % (number % 5),
        "From: %s <p%d@example.org>" % (encoded(sender), PEOPLE.index(sender)),
        "To: list@example.org, %s <fred@example.net>" % encoded("Frédéric"),
        "Subject: %s%s" % ("Re: " if number != first else "", encoded(topic)),
        "Date: %s, %d Nov 2026 %02d:%02d:%02d +0100" % (("Sun", "Mon", "Tue")[number % 3], number % 28 + 1, number % 24, number % 60, number % 53),
        "Message-ID: <%d.bench@example.org>" % number,
    ]
    if number != first:
        headers.append("In-Reply-To: <%d.bench@example.org>" % (number - 1))
        headers.append("References: " + "\r\n ".join("<%d.bench@example.org>" % n for n in range(first, number)))
    headers += ["MIME-Version: 1.0", "X-Mailer: bench", "List-Id: <list.example.org>"]
    more, text = body(rng, number)
    return ("\r\n".join(headers) + "\r\n" + more + "\r\n" + text).encode()
