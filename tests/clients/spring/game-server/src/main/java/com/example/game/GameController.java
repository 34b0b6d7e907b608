package com.example.game;

import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

@RestController
@RequestMapping("/game")
public class GameController {
    private final KafkaTemplate<String, ExpEvent> kafkaTemplate;

    public GameController(KafkaTemplate<String, ExpEvent> kafkaTemplate) {
        this.kafkaTemplate = kafkaTemplate;
    }

    @PostMapping("/gain-exp")
    public String gainExp(@RequestBody ExpEvent event) {
        kafkaTemplate.send("exp-topic", event.userId(), event);
        return event.userId() + " gains " + event.exp() + " exp";
    }
}
