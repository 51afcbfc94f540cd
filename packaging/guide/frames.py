"""The frames that people put around a subject, and things of the wide world that the guide does not know."""

MEANING = (
    "what is {}?", "what is {}", "what's {}?", "what exactly is {}?", "what is {} exactly?", "what is meant by {}?",
    "what does {} mean?", "what does the word {} mean?", "meaning of {}", "{} meaning", "{}", "{}?", "{} explained",
    "{} definition", "define {}", "explain {}", "explain {} to me", "can you explain {}?",
    "explain {} in simple words", "explain {} simply", "tell me about {}", "can you tell me about {}?",
    "can you tell me what {} is?", "could you tell me what {} is?", "do you know what {} is?",
    "please tell me what {} is", "tell me what {} is", "tell me what {} means", "describe {}",
    "give me a definition of {}", "i want to know what {} is", "i'd like to understand {}", "help me understand {}",
    "i don't know what {} is", "what do you know about {}?", "i have no idea what {} is",
    "what should i know about {}?", "i read about {}, what is that?", "i keep seeing {}, what is it?",
    "what's the meaning of {}?", "what's that, {}?", "so what is {} then?", "what is this {} thing?", "what are {}?",
    "info on {}", "how would you describe {}?", "how do you explain {} to a beginner?", "what does {} stand for?",
    "i am new, what is {}?", "{} for beginners", "I saw {} somewhere, what does it mean?",
    "a short explanation of {}", "what would you say {} is?", "can you define {}?", "in one sentence, what is {}?",
)  # fmt: skip

DOING = (
    "how do i {}?", "how can i {}?", "how to {}", "how to {}?", "how do you {}?", "how would i {}?",
    "how could i {}?", "how does one {}?", "how should i {}?", "i want to {}", "i want to {}, how?",
    "i would like to {}", "i need to {}", "i'd like to {}, how does that work?", "i am trying to {}",
    "what is the way to {}?", "what's the best way to {}?", "show me how to {}", "tell me how to {}",
    "can you tell me how to {}?", "explain how to {}", "is there a way to {}?", "steps to {}",
    "what must i do to {}?", "what do i have to do to {}?", "where can i {}?", "where do i {}?", "help me {}",
    "could you show me how to {}?", "i don't know how to {}", "do you know how to {}?", "what is needed to {}?",
    "{} how", "can i {}?", "can you help me to {}?", "is it possible to {}?", "what do I press to {}?",
    "how do people {}?", "how can one {} in carryon?", "how do i {} in this app?",
)  # fmt: skip

COMPARING = (
    "{a} vs {b}", "{a} or {b}?", "{a} or {b}", "{a} versus {b}", "{a} against {b}", "{a} compared to {b}",
    "compare {a} and {b}", "compare {a} with {b}", "difference between {a} and {b}",
    "what is the difference between {a} and {b}?", "what's the difference between {a} and {b}?",
    "how does {a} differ from {b}?", "how do {a} and {b} differ?", "which is better, {a} or {b}?",
    "is {a} better than {b}?", "should i use {a} or {b}?", "should i take {a} or {b}?",
    "explain the difference between {a} and {b}", "{a} and {b} compared", "what separates {a} from {b}?",
    "{a} and {b}: which one?", "is {a} worse than {b}?", "how does {a} compare to {b}?", "do i want {a} or {b}?",
    "can you compare {a} and {b}?", "when {a} and when {b}?", "{a} vs. {b}, what is the difference?",
)  # fmt: skip

ANY = (
    "tell me: {}", "can you tell me, {}", "do you know {}", "i'd like to know {}", "i want to know: {}",
    "could you say {}", "i wonder {}", "question: {}", "{}", "explain: {}", "any idea {}", "help me out: {}",
    "in carryon, {}", "not sure, {}", "let me ask: {}",
)  # fmt: skip

STRANGE_FRAMES = (
    "what is a {}?", "how do i repair a {}?", "where can i buy a {}?", "tell me about the {}", "who invented the {}?",
    "how much does a {} cost?", "do you like my {}?", "what colour is a {}?", "how do i clean the {}?",
    "why is my {} broken?", "describe a {}", "{}", "how old is the {}?", "which {} is best?", "i lost my {}",
    "i need a new {}", "how do i build a {}?", "what can i do with a {}?", "explain the {}", "can you find my {}?",
    "how heavy is a {}?", "how does a {} work?",
)  # fmt: skip

STRANGE_THINGS = (
    "chair", "table", "lamp", "washing machine", "umbrella", "guitar", "violin", "hammer", "ladder", "garden fence",
    "bicycle bell", "sofa", "carpet", "kettle", "toaster", "spoon", "teapot", "pillow", "blanket", "candle", "mirror",
    "wardrobe", "door handle", "roof", "chimney", "bucket", "broom", "scarf", "hat", "glove", "shoe", "wedding ring",
    "necklace", "wrist watch", "pencil", "fountain pen", "stapler", "stamp", "envelope", "balloon", "kite", "doll",
    "puzzle", "tent", "canoe", "sailing boat", "tractor", "lorry", "tram", "helicopter", "submarine", "bridge",
    "lighthouse", "castle", "fountain", "staircase", "elevator", "bathtub", "fridge", "lawn mower", "screwdriver",
    "paint brush", "sewing machine", "trumpet", "drum", "piano", "microscope", "telescope", "compass", "thermometer",
    "fishing rod", "skateboard", "snowboard", "swimming pool", "trampoline", "backpack", "wallet", "passport photo",
    "wheelbarrow", "vase", "curtain", "doorbell", "hair dryer",
)  # fmt: skip

SOUNDS = (
    "bal", "bri", "cor", "dal", "dron", "eki", "fen", "flu", "gar", "glim", "hov", "ista", "jor", "kel", "lum", "mav",
    "nor", "olp", "pim", "quo", "rath", "sil", "snor", "tam", "tur", "uva", "vel", "wim", "xan", "yol", "zub", "ac",
    "et", "on", "us", "ia", "ex", "ing", "er", "o",
)  # fmt: skip
