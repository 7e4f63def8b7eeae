#!/usr/bin/env python3
"""Makes speech to learn from: synthetic voices, and when they say which phoneme.

  apt install libespeak-ng1 espeak-ng-data
  scripts/speech_data.py -o speech [--utterances 3600] [--seed 1]

OUTPUT gets one WAV an utterance (mono, 16 bits) and utterances.jsonl, a line for each:
{"file", "part", "language", "variant", "secs", "phonemes": [[from_secs, "IPA"], …]}; an empty phoneme is a pause.
`part` is "train", "voices" (variants that no training utterance has) or "language" (a language that none has).
Throats are of more sizes than espeak-ng has: an utterance is played up to a sixth faster or slower than it was made.
Noise, rooms, levels and narrow lines are added while a network learns (crates/training/src/speech/augment.rs), anew each time.
espeak-ng is under the GPL; what it says is not.
"""

import argparse
import ctypes
import json
import random
import sys
import wave
from pathlib import Path

# One sentence or two of everyday matters in each; written for this purpose.
TEXTS = {
    "en-us": ["Hello everybody, welcome to the show.", "My boat moves past the big brown bridge.", "Five people bought fresh apples before noon.",
              "Why would anybody put a whole pumpkin in the oven?", "Please tell me what you think about this problem.", "The weather may be warm, but the water is very cold.",
              "She showed us how the old machine works.", "Above the village, a few white clouds were moving.", "I have got to go home, bye bye!", "Maybe you should choose another picture."],
    "en-gb": ["Good morning, would you like a cup of tea?", "Father bought a new map of the mountains.", "Half of them were laughing about the film.", "We thought about the north and the south.",
              "Put the small blue box over there, please.", "Nobody remembers where the path begins."],
    "de": ["Guten Morgen, wie geht es Ihnen heute?", "Ich möchte bitte fünf Bäume pflanzen.", "Am Abend fahren wir mit dem Bus nach Bamberg.", "Viele Menschen warten vor dem Bahnhof.",
           "Mein Bruder wohnt über einem Laden für Pfeifen.", "Können wir morgen früh darüber sprechen?", "Zwei Mädchen spielen unter der Brücke.", "Papa putzt Pilze, Mama macht Marmelade."],
    "fr": ["Bonjour à tous et bienvenue dans cette émission.", "Mon père a peint le pont en bleu.", "Nous voulons boire un peu d'eau fraîche.", "Il fait beau, mais le vent est froid.",
           "Peut-être que vous préférez un autre film.", "La petite fille joue avec un ballon jaune.", "Où est la boîte aux lettres, s'il vous plaît?"],
    "es": ["Buenos días, bienvenidos a nuestro programa.", "Mi primo compró un barco pequeño.", "Vamos a caminar por el bosque mañana.", "Hace mucho viento, pero no hace frío.",
           "Me gustaría beber un vaso de agua fresca.", "Nuestra abuela vive cerca de la fábrica."],
    "pt-br": ["Bom dia, tudo bem com você?", "Meu pai comprou um barco pequeno.", "Amanhã vamos passear no parque.", "A menina bebe um copo de água fria.", "Por favor, fale mais devagar."],
    "nl": ["Goedemorgen, hoe gaat het met u?", "Mijn broer woont boven een bakkerij.", "Wij willen graag een kopje koffie.", "Veel mensen wachten voor het station.", "De boom voor het huis bloeit vroeg."],
    "pl": ["Dzień dobry, jak się pan miewa?", "Mój brat kupił mały biały samochód.", "Pójdziemy jutro na spacer do parku.", "Proszę mówić trochę wolniej.", "Babcia piecze pyszne ciasto z jabłkami."],
    "ru": ["Привет, как дела сегодня?", "Мой брат купил большую белую лодку.", "Мы хотим пить холодную воду.", "Бабушка варит вкусный борщ.", "Пожалуйста, говорите немного медленнее."],
    "tr": ["Merhaba, bugün nasılsınız?", "Babam büyük bir vapur aldı.", "Yarın parkta yürüyüş yapacağız.", "Biraz su içmek istiyorum.", "Lütfen daha yavaş konuşun."],
    "ja": ["こんにちは、おげんきですか。", "わたしはまいあさみずをのみます。", "あしたともだちとうみへいきます。", "ちいさいぼうしをかいました。", "もうすこしゆっくりはなしてください。"],
    "cmn-latn-pinyin": ["ni3 hao3, wo3 men jin1 tian1 qu4 gong1 yuan2", "wo3 ma1 ma mai3 le mian4 bao1", "ta1 bu4 xi3 huan1 he1 cha2", "ming2 tian1 peng2 you3 lai2 wo3 jia1", "qing3 ni3 shuo1 man4 yi1 dian3"],
    "sv": ["God morgon, hur mår du idag?", "Min bror bor ovanför ett bageri.", "Vi vill gärna dricka kaffe.", "Många människor väntar på bussen."],
    # Held out.
    "it": ["Buongiorno a tutti, benvenuti al programma.", "Mio padre ha comprato una barca piccola.", "Domani andiamo a passeggiare nel bosco.", "Vorrei bere un bicchiere d'acqua fresca.",
           "La bambina gioca con una palla gialla.", "Per favore, può parlare più piano?"],
}
HELD_OUT_LANGUAGE = "it"
VARIANTS = ["", "m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f3", "f5", "Andy", "Annie", "Alex", "Diogo", "Gene", "Jacky", "Lee", "Linda", "Mario", "Michael",
            "Steph", "anika", "aunty", "edward", "belinda", "iven", "klatt2", "marcelo", "max", "norbert", "pablo", "quincy", "rob", "victor", "zac", "sandro", "shelby"]
HELD_OUT_VARIANTS = ["m5", "m8", "f4", "klatt", "Denis", "robert", "steph2", "Andrea"]
# Words that mean nothing, so that sounds follow each other in more ways than sentences have.
ONSETS = ["p", "b", "m", "f", "v", "t", "d", "n", "s", "l", "r", "k", "g", "w", "sch", "ch", "j", "z", "h", "", "pl", "br", "st"]
VOWELS = ["a", "e", "i", "o", "u", "a", "o", "u", "ai", "au"]
CODAS = ["", "", "", "", "m", "n", "p", "l", "s", "t", "b"]
WORDLESS = ("en-us", "de", "fr", "es", "it", "nl", "pl", "tr", "pt-br")

RATE_HZ = 22_050
# Played faster, a voice has a shorter throat and a higher pitch.
FASTEST = 1.17
PHONEME, END = 7, 0


class Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
                ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", Id)]


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Speaker:
    def __init__(self):
        try:
            self.espeak = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            sys.exit(f"cannot load espeak-ng ({error}); apt install libespeak-ng1 espeak-ng-data")
        # Synchronous; phoneme events, by their names in IPA.
        rate_hz = self.espeak.espeak_Initialize(2, 0, None, 3)
        if rate_hz != RATE_HZ:
            sys.exit(f"expected espeak-ng to speak at {RATE_HZ} Hz, found {rate_hz}")
        self.samples, self.events = bytearray(), []
        self.callback = CALLBACK(self.take)
        self.espeak.espeak_SetSynthCallback(self.callback)

    def take(self, samples, n, events):
        if samples and n > 0:
            self.samples += ctypes.string_at(samples, 2 * n)
        i = 0
        while events[i].type != END:
            if events[i].type == PHONEME:
                name = bytes(events[i].id.string).split(b"\0")[0].decode("utf-8", "ignore")
                self.events.append([events[i].sample, name])
            i += 1
        return 0

    def say(self, voice, text, pitch, pitch_range, words_a_minute):
        self.samples, self.events = bytearray(), []
        if self.espeak.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for parameter, value in ((1, words_a_minute), (3, pitch), (4, pitch_range)):
            self.espeak.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self.espeak.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
        return bytes(self.samples), self.events


def wordless(rng):
    word = lambda: "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.randint(1, 3)))
    return ", ".join(" ".join(word() for _ in range(rng.randint(2, 4))) for _ in range(rng.randint(1, 3))) + "."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--utterances", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    rng, speaker, total_secs = random.Random(args.seed), Speaker(), 0.0
    languages = [language for language in TEXTS if language != HELD_OUT_LANGUAGE]
    with open(args.output / "utterances.jsonl", "w") as lines:
        for number in range(args.utterances):
            part = rng.choices(["train", "voices", "language"], [88, 7, 5])[0]
            language = HELD_OUT_LANGUAGE if part == "language" else rng.choice(languages)
            variant = rng.choice(HELD_OUT_VARIANTS if part == "voices" else VARIANTS)
            is_wordless = language in WORDLESS and rng.random() < 0.4
            text = wordless(rng) if is_wordless else " ".join(rng.sample(TEXTS[language], rng.randint(1, 2)))
            voice = f"{language}+{variant}" if variant else language
            said = speaker.say(voice, text, rng.randint(15, 85), rng.randint(20, 80), rng.randint(110, 240))
            if not said or len(said[0]) < RATE_HZ:
                continue
            samples, events = said
            # Silence around it; what speaks of another language is no sound.
            before, after = (int(RATE_HZ * rng.uniform(0.15, 0.8)) for _ in range(2))
            rate_hz = int(RATE_HZ * FASTEST ** rng.uniform(-1, 1))
            phonemes = [[0.0, ""]]
            phonemes += [[round((sample + before) / rate_hz, 4), name] for sample, name in events if not name.startswith("(")]
            n_samples = before + len(samples) // 2 + after
            phonemes.append([round((n_samples - after) / rate_hz, 4), ""])
            file = f"{number:05}.wav"
            with wave.open(str(args.output / file), "wb") as out:
                out.setnchannels(1), out.setsampwidth(2), out.setframerate(rate_hz)
                out.writeframes(bytes(2 * before) + samples + bytes(2 * after))
            secs = n_samples / rate_hz
            total_secs += secs
            line = {"file": file, "part": part, "language": language, "variant": variant, "secs": round(secs, 4), "phonemes": phonemes}
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{total_secs / 60:.0f} minutes in {args.output}")


if __name__ == "__main__":
    main()
